-- reseal_request: a job's request is sealed anew, unless it was changed or went since it was read.
-- KEYS  job
-- ARGV  the request as it was read, the one to put in its place
-- reply done or changed
if redis.call('HGET', KEYS[1], 'request') ~= ARGV[1] then return 'changed' end
redis.call('HSET', KEYS[1], 'request', ARGV[2])
return 'done'
