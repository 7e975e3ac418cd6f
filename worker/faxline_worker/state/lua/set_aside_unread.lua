-- set_aside_unread: entries whose readers never finished leave the stream unopened, each with an event. A reader that was
-- given one entry alone noted its size once it had it. Entries that are known to be small are kept for a look. A copy of a
-- large one would hold Redis up, and whoever lists it would be its next reader. An entry without a note goes to a reader
-- once more.
-- include: clock events dead unread_metadata
-- ARGV  consumer group, most deliveries, most bytes of an entry that is kept, cap of the dead, JSON options, entries …
-- reply those that were set aside
local group, most, bytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local REASON, done = 'delivered_too_often', {}
local cap = cjson.decode(ARGV[5]).events_ceiling -- as in `cancel`
for i = 6, #ARGV do
  local id = ARGV[i]
  local pending, note = redis.call('XPENDING', keys.intake, group, id, id, 1)[1], redis.call('GET', keys.read_alone .. id)
  if pending and pending[4] > most and note then
    local size, metadata = tonumber(note), nil
    if size > 0 and size <= bytes then
      local found = redis.call('XRANGE', keys.intake, id, id)[1]
      if found then
        keep_dead(ARGV[4], 'intake', id, REASON, found[2])
        metadata = unread_metadata(found[2])
      end
    end
    emit(cap, 'fax.rejected', '', to_json({ state = 'rejected', member = '',
      reason = REASON, message = 'Every process that read this entry ended before it finished, so it is not opened again. '
      .. 'Push it in another form, or ask an operator.', entry = id }, nil, metadata))
    redis.call('XACK', keys.intake, group, id)
    redis.call('XDEL', keys.intake, id)
    redis.call('DEL', keys.read_alone .. id)
    done[#done + 1] = id
  end
end
return done
