-- complete_order: takes a long-running order that was carried out off its stream and stores the reply.
-- include: clock orders audit
-- KEYS  orders, reply, audit, maintenance lock
-- ARGV  stream entry, order, who orders it, what it is about, the job, the result, JSON of what is told, JSON options
-- reply the result, or gone; but for gone it is also in the stream `reply`
redis.call('DEL', KEYS[4])
local word = take_order(KEYS[1], ARGV[1])
if not word then return 'gone' end
audit(KEYS[3], cjson.decode(ARGV[8]), ARGV[3], ARGV[2], { user = word.user, about = ARGV[4], job = ARGV[5],
  outcome = ARGV[6] })
return answer(KEYS[2], ARGV[6], 'told', ARGV[7])
