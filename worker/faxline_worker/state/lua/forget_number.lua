-- forget_number: erases what is stored of a number outside of jobs: its line, and some receipts with an unknown jobId.
-- include: numbers
-- ARGV  number, jobIds of receipts
-- reply done
local number = ARGV[1]
for i = 2, #ARGV do
  local key = keys.job_ids .. ARGV[i]
  local text = redis.call('GET', key)
  local to = text and string.sub(text, 1, 1) == '{' and cjson.decode(text).to
  if to and same_number(to, number) then
    redis.call('DEL', key)
    redis.call('ZREM', keys.unmatched, ARGV[i])
    redis.call('SREM', keys.untried .. tail_of(number), ARGV[i])
  end
end
redis.call('UNLINK', keys.untried .. number) -- as an older process names it
redis.call('HDEL', keys.lines, number)
redis.call('ZREM', keys.lines_until, number)
return 'done'
