-- reseal_document: seals a stored document anew, unless it was changed or deleted since it was read.
-- ARGV  digest, its bytes as they were read: how many, and the first of them; the bytes to put in their place
-- reply done or changed
local key = keys.document .. ARGV[1]
if redis.call('STRLEN', key) ~= tonumber(ARGV[2]) or redis.call('GETRANGE', key, 0, #ARGV[3] - 1) ~= ARGV[3] then
  return 'changed'
end
redis.call('SET', key, ARGV[4], 'KEEPTTL')
return 'done'
