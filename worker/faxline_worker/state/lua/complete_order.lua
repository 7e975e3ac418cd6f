-- complete_order: takes a completed long-running order off its stream and stores the reply. The lock is released if it is
-- still the caller's: another dispatcher may have it by now. A number to forget is passed on to the archive, where one is
-- on: the audit has only its last digits, and the archive has faxes whose records are long gone. A recovery's results leave
-- `lost`, where they are kept until then.
-- include: clock orders audit
-- ARGV  stream entry, order, who orders it, what it is about, the job, the result, JSON of what is told, JSON options,
--       who has the lock
-- reply the result, or gone; unless it is gone, the result is also in the stream `reply`
if redis.call('GET', keys.maintenance_lock) == ARGV[9] then redis.call('DEL', keys.maintenance_lock) end
local order = take_order(ARGV[1])
if not order then return 'gone' end
if order.order == 'forget' and order.number and redis.call('EXISTS', keys.archive) == 1 then
  redis.call('RPUSH', keys.archive_forget, cjson.encode({ number = order.number, at = math.floor(now) }))
end
if order.order == 'recover' and ARGV[6] == 'done' then -- what became of each is told now
  local lost = redis.call('HGETALL', keys.lost)
  for i = 1, #lost, 2 do
    if cjson.decode(lost[i + 1]).became then redis.call('HDEL', keys.lost, lost[i]) end
  end
end
audit(cjson.decode(ARGV[8]), ARGV[3], ARGV[2], { user = order.user, about = ARGV[4], job = ARGV[5],
  outcome = ARGV[6] })
return answer(ARGV[1], ARGV[6], 'told', ARGV[7])
