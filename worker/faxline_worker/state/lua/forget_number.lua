-- forget_number: what is known of a number beside jobs goes: its line, and receipts that nobody knows, of some that are named.
-- include: numbers
-- KEYS  unmatched, untried of the number, lines, lines until, jobId prefix, untried as an older process names it
-- ARGV  number, jobIds of receipts
-- reply done
for i = 2, #ARGV do
  local text = redis.call('GET', KEYS[5] .. ARGV[i])
  local to = text and string.sub(text, 1, 1) == '{' and cjson.decode(text).to
  if to and same_number(to, ARGV[1]) then
    redis.call('DEL', KEYS[5] .. ARGV[i])
    redis.call('ZREM', KEYS[1], ARGV[i])
    redis.call('SREM', KEYS[2], ARGV[i])
  end
end
redis.call('UNLINK', KEYS[6])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
return 'done'
