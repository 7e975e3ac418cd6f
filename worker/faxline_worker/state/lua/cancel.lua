-- cancel: a queued job ends at once. iFax is asked to cancel a fax that it keeps for a date (a control call). In any other
-- state the cancellation is refused, with the reason.
-- include: clock bell record events group_lives endings ready_set lines line_ends control_calls streams_aside audit
-- ARGV  consumer group, intake entry, job id, JSON options, who asks, the Redis user (both for the audit), who
--       asks (for the event, or empty)
-- reply JSON {result, event (the last that it wrote)}: canceled, asked, refused, gone, or early: the job is unknown, and an
--       older entry, which another dispatcher works on, may be the one that makes it known; the entry stays
local group, entry, id, options = ARGV[1], ARGV[2], ARGV[3], cjson.decode(ARGV[4])
local by = ARGV[7] ~= '' and ARGV[7] or nil
options.cap = options.events_ceiling -- whether an archive is on is not known here; the next script that knows trims
local function reply(result, event) return cjson.encode({ result = result, event = event }) end
if #redis.call('XRANGE', keys.intake, entry, entry) == 0 then return reply('gone') end
local function leave(result, reason, event) -- last, for a script that raises is not undone, and the entry must not be lost
  audit(options, ARGV[5], 'cancel',
    { user = ARGV[6], job = id, outcome = result == 'canceled' and 'done' or result, reason = reason })
  redis.call('XACK', keys.intake, group, entry)
  redis.call('XDEL', keys.intake, entry)
  return reply(result, event)
end
local job = read_record(keys.job .. id)
if not job and (#redis.call('XPENDING', keys.intake, group, '-', '(' .. entry, 1) > 0 or waits_aside('intake'))
then
  local ours = redis.call('XPENDING', keys.intake, group, entry, entry, 1)[1]
  if ours then redis.call('XCLAIM', keys.intake, group, ours[2], 0, entry, 'JUSTID') end -- whoever asks still has it
  return reply('early')
end
if job and job.state == 'queued' then
  leave_queue(options, id, job)
  job.cause = { by = by }
  local reason = 'canceled_before_sending'
  transition(options.cap, id, job, 'fax.canceled', changes_at_end(options, job, { state = 'canceled', reason = reason }),
    { reason = reason })
  finish(options, id, job)
  return leave('canceled', nil, job.event)
end
if job and job.state == 'submitted' and is_for_later(job) then
  if not job.canceling then
    redis.call('HSET', keys.job .. id, 'canceling', 'asked', 'cancel_tries', 0, 'canceler', ARGV[7])
    read_steady() -- the call's place among others goes by the steady clock
    send_control_call(control_call_of('cancel', id))
  end
  return leave('asked')
end
local reason = not job and 'unknown_job' or FINAL[job.state] and 'final' or job.state
local data = { state = job and job.state, reason = reason, by = by }
local event = emit(options.cap, 'fax.cancel_refused', id, to_json(data, nil, job and job.metadata or nil))
return leave('refused', reason, event)
