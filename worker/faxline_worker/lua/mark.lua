-- mark: written just before the first byte of a request; from here on its answer may be in doubt.
-- include: clock
-- KEYS  permits, holders, job
-- ARGV  permit token, job id, lease (ms) from now: the longest time the request can live
-- reply marked, or lost: the lease ran out and the job is no longer the caller's; nothing may be sent
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) <= now or redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 'lost' end
local job = redis.call('HMGET', KEYS[3], 'state', 'permit', 'marked')
if job[1] ~= 'submitting' or job[2] ~= ARGV[1] then return 'lost' end
if job[3] ~= '1' then
  redis.call('HSET', KEYS[3], 'marked', '1')
  redis.call('ZADD', KEYS[1], 'XX', int(now + tonumber(ARGV[3])), ARGV[1])
end
return 'marked'
