-- mark: written just before the first byte of a request. From here on its answer may be in doubt.
-- include: clock permits
-- ARGV  permit token, what it is held for (a job, or a control call), the longest time (ms) that the request can live from
--       now on, control call (1: the call is one; it leaves no mark on the job, for nothing is in doubt about it), the
--       steady clock as the caller has it (ms), which spares a look at the account; nothing: it has none
-- reply when it was marked (ms), or lost: the lease ran out and the job is no longer the caller's; nothing may be sent
local permit = permit_of(ARGV[1], ARGV[2])
if ARGV[5] ~= '' then steady = tonumber(ARGV[5]) else read_steady() end
if ARGV[4] == '1' then
  local held = tonumber(redis.call('ZSCORE', keys.permits, permit) or 0)
  if held <= steady then return 'lost' end
  redis.call('ZADD', keys.permits, 'XX', int(math.max(held, steady + tonumber(ARGV[3]))), permit)
  return int(now)
end
local job = redis.call('HMGET', keys.job .. ARGV[2], 'state', 'permit', 'lease')
local lease = tonumber(job[3]) or 0
if job[1] ~= 'submitting' or job[2] ~= ARGV[1] or lease <= steady then return 'lost' end
-- Written also when called again: WAIT, which may follow, asks the replicas about what its own connection wrote.
local fields = { 'marked', '1', 'marked_at', int(now) }
if lease < steady + tonumber(ARGV[3]) then -- the lease must outlast the request
  lease = steady + tonumber(ARGV[3])
  if redis.call('ZADD', keys.permits, 'XX', 'CH', int(lease), permit) == 0 then return 'lost' end
  table.insert(fields, 'lease')
  table.insert(fields, int(lease))
end
redis.call('HSET', keys.job .. ARGV[2], unpack(fields))
return int(now)
