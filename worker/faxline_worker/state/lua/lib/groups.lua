-- What is stored of a group besides the ids of its jobs, each in a set of its own: how many faxes its producer pushes (one
-- member, the last that was told), and those that were rejected. A group's name has no `!`. Both live as long as the group.
local thin_out, note_rejection, note_size
do
  local SIZE, REJECTED = '!size', '!rejected'

  -- A group's name that is used for ever must not keep ended jobs: at every tenth addition twenty members are looked at, so
  -- that at most about half of a group are jobs without a record.
  local SOME, EVERY = 20, 10

  function thin_out(group, turn)
    if (now + turn) % EVERY > 0 then return end
    local members, keys_of = redis.call('SRANDMEMBER', group, SOME), {}
    for i, id in ipairs(members) do keys_of[i] = keys.job .. id end
    if redis.call('EXISTS', unpack(keys_of)) == #members then return end
    for i, id in ipairs(members) do
      if redis.call('EXISTS', keys_of[i]) == 0 then redis.call('SREM', group, id) end
    end
    redis.call('DEL', group .. SIZE) -- it counted those, too
  end

  function note_rejection(retention, name, rejection)
    local rejected = keys.group .. name .. REJECTED
    redis.call('SADD', rejected, cjson.encode(rejection))
    if now % EVERY > 0 then return end
    for _, text in ipairs(redis.call('SRANDMEMBER', rejected, SOME)) do
      if cjson.decode(text).at < now - retention then redis.call('SREM', rejected, text) end
    end
  end

  function note_size(name, size)
    local key = keys.group .. name .. SIZE
    if redis.call('SISMEMBER', key, int(size)) == 1 then return end
    redis.call('DEL', key)
    redis.call('SADD', key, int(size))
  end
end
