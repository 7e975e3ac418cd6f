-- order: an operator's word about an account is carried out, and leaves the stream.
-- include: clock limits wakes account
-- KEYS  orders, account, permits, answers, doorbell
-- ARGV  stream entry, order (pause or resume), JSON options
-- reply done, idle (it was so already), unknown (there is no such order) or gone (another dispatcher carried it out)
local keys = { account = KEYS[2], permits = KEYS[3], answers = KEYS[4], doorbell = KEYS[5] }
local options = cjson.decode(ARGV[3])
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 'gone' end
local account = read_account(keys.account)
if ARGV[2] == 'pause' then
  if account.paused == 'operator' then return 'idle' end
  account.paused = ''
  pause(keys, account, options, 'operator')
  return 'done'
end
if ARGV[2] ~= 'resume' then return 'unknown' end
if account.paused == '' then return 'idle' end
open_account(keys, account)
return 'done'
