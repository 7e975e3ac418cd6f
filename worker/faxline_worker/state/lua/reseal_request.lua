-- reseal_request: seals a field of a job's record anew, unless it was changed or deleted since it was read.
-- ARGV  job id, the field's value as it was read, the one to put in its place, the field (request, or r:N: a receipt)
-- reply done or changed
local key = keys.job .. ARGV[1]
if redis.call('HGET', key, ARGV[4]) ~= ARGV[2] then return 'changed' end
redis.call('HSET', key, ARGV[4], ARGV[3])
return 'done'
