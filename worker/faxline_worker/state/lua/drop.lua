-- drop: an operator deletes an entry that was set aside. The order leaves its stream.
-- include: clock orders audit
-- ARGV  stream entry of the order, entry of the dead, who orders it, JSON options
-- reply done, refused (there is no such entry) or gone; unless it is gone, the result is also in the stream `reply`
local order = take_order(ARGV[1])
if not order then return 'gone' end
local dropped = redis.pcall('XDEL', keys.dead, ARGV[2]) -- what is no entry's id is an error
local result = dropped == 1 and 'done' or 'refused'
audit(cjson.decode(ARGV[4]), ARGV[3], 'drop', { user = order.user, about = ARGV[2], outcome = result })
return answer(ARGV[1], result)
