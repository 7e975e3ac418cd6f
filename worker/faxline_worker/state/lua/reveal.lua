-- reveal: an operator is about to see the numbers of jobs. The audit notes that first. The order leaves its stream.
-- include: clock orders audit
-- ARGV  stream entry of the order (its member `jobs` has ids with spaces between them), who orders it, JSON options
-- reply done or gone; unless it is gone, the result is also in the stream `reply`
local order, options = take_order(ARGV[1]), cjson.decode(ARGV[3])
if not order then return 'gone' end
for id in string.gmatch(order.jobs or '', '%S+') do
  audit(options, ARGV[2], 'reveal', { user = order.user, job = string.sub(id, 1, 128), outcome = 'done' })
end
return answer(ARGV[1], 'done')
