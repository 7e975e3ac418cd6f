-- wake: messages for actors join their queue, in the broker's database, also when memory is full: a plain RPUSH is the
-- cheaper way else. Without workers the oldest ones are dropped, for the dispatchers send again and again.
-- KEYS  queue (a list)
-- ARGV  most messages that are kept, messages
-- reply length of the queue
local most = tonumber(ARGV[1])
local length = redis.call('RPUSH', KEYS[1], unpack(ARGV, 2))
if length > most then redis.call('LTRIM', KEYS[1], -most, -1) end
return length
