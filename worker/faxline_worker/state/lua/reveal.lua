-- reveal: an operator is about to see the numbers of jobs, or to do what `what` names. The audit notes that first. The order
-- leaves its stream.
-- include: clock orders audit
-- ARGV  stream entry of the order (its member `jobs` has ids with spaces between them; a mailing has none, and is told by `about`),
--       who orders it, JSON options
-- reply done or gone; unless it is gone, the result is also in the stream `reply`
local order, options = take_order(ARGV[1]), cjson.decode(ARGV[3])
if not order then return 'gone' end
local OUTCOMES = { send = 'asked', mailing = 'asked', leave = 'done' }
local what = OUTCOMES[order.what] and order.what or 'reveal'
local function note(job)
  audit(options, ARGV[2], what, { user = order.user, job = job, about = order.about and string.sub(order.about, 1, 256),
    outcome = OUTCOMES[what] or 'done' })
end
for id in string.gmatch(order.jobs or '', '%S+') do note(string.sub(id, 1, 128)) end
if what == 'mailing' then note(nil) end
return answer(ARGV[1], 'done')
