-- wake: a message for an actor joins its queue, in the broker's database. Without workers the oldest ones are
-- dropped, for the dispatchers send again and again.
-- KEYS  queue (a list)
-- ARGV  message, most messages that are kept
-- reply length of the queue
local length = redis.call('RPUSH', KEYS[1], ARGV[1])
if length > tonumber(ARGV[2]) then redis.call('LTRIM', KEYS[1], -tonumber(ARGV[2]), -1) end
return length
