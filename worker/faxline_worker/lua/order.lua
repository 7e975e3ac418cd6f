-- order: an operator's word about an account is carried out, and leaves the stream.
-- include: clock limits wakes account orders
-- KEYS  orders, reply, account, permits, answers, doorbell
-- ARGV  stream entry, order (pause or resume), JSON options
-- reply done, idle (it was so already), unknown (there is no such order) or gone (another dispatcher carried it out);
--       but for gone it is also in the stream `reply`
local reply = KEYS[2]
local keys = { account = KEYS[3], permits = KEYS[4], answers = KEYS[5], doorbell = KEYS[6] }
local options = cjson.decode(ARGV[3])
if not take_order(KEYS[1], ARGV[1]) then return 'gone' end
local account = read_account(keys.account)
if ARGV[2] == 'pause' then
  if account.paused == 'operator' then return answer(reply, 'idle') end
  account.paused = ''
  pause(keys, account, options, 'operator')
  return answer(reply, 'done')
end
if ARGV[2] ~= 'resume' then return answer(reply, 'unknown') end
if account.paused == '' then return answer(reply, 'idle') end
open_account(keys, account)
return answer(reply, 'done')
