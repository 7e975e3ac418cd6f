-- forget_number: what is known of a number beside jobs goes: receipts that nobody knows, its line.
-- KEYS  unmatched, lines, lines until, jobId prefix
-- ARGV  number
-- reply done
for _, job_id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local text = redis.call('GET', KEYS[4] .. job_id)
  if text and string.sub(text, 1, 1) == '{' and cjson.decode(text).to == ARGV[1] then
    redis.call('DEL', KEYS[4] .. job_id)
    redis.call('ZREM', KEYS[1], job_id)
  end
end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return 'done'
