-- wake: messages for actors join their queue in the broker's database, even when memory is full; otherwise a plain RPUSH is
-- cheaper. Without workers the oldest messages are dropped, because the dispatchers send again and again.
-- KEYS  queue (a list)
-- ARGV  most messages that are kept, messages
-- reply length of the queue
local most = tonumber(ARGV[1])
local length = redis.call('RPUSH', KEYS[1], unpack(ARGV, 2))
if length > most then redis.call('LTRIM', KEYS[1], -most, -1) end
return length
