-- reseal_request: seals a job's request anew, unless it was changed or deleted since it was read.
-- ARGV  job id, the request as it was read, the one to put in its place
-- reply done or changed
local key = keys.job .. ARGV[1]
if redis.call('HGET', key, 'request') ~= ARGV[2] then return 'changed' end
redis.call('HSET', key, 'request', ARGV[3])
return 'done'
