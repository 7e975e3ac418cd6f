-- reveal: an operator is about to be shown the numbers of jobs: that is noted first; the order leaves its stream.
-- include: clock orders audit
-- KEYS  orders, reply, audit
-- ARGV  stream entry of the order (its member `jobs` has ids with spaces between them), who orders it, JSON options
-- reply done or gone; but for gone it is also in the stream `reply`
local word, options = take_order(KEYS[1], ARGV[1]), cjson.decode(ARGV[3])
if not word then return 'gone' end
for id in string.gmatch(word.jobs or '', '%S+') do
  audit(KEYS[3], options, ARGV[2], 'reveal', { user = word.user, job = string.sub(id, 1, 128), outcome = 'done' })
end
return answer(KEYS[2], 'done')
