-- reseal_document: a stored document is sealed anew, unless it was changed or went since it was read.
-- KEYS  document
-- ARGV  its bytes as they were read: how many, and the first of them; the bytes to put in their place
-- reply done or changed
if redis.call('STRLEN', KEYS[1]) ~= tonumber(ARGV[1])
  or redis.call('GETRANGE', KEYS[1], 0, #ARGV[2] - 1) ~= ARGV[2] then
  return 'changed'
end
redis.call('SET', KEYS[1], ARGV[3], 'KEEPTTL')
return 'done'
