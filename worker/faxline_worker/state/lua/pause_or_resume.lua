-- pause_or_resume: carries out an operator's order about an account and takes it off the stream.
-- include: clock bell limits wakes closing orders audit
-- KEYS  orders, reply, account, permits, answers, doorbell, audit
-- ARGV  stream entry, order (pause or resume), who orders it, JSON options
-- reply done, idle (it was so already), rolled_back (the state went back: `recover` comes first), unknown (there is no
--       such order) or gone (another dispatcher carried it out);
--       but for gone it is also in the stream `reply`
local reply = KEYS[2]
local keys = { account = KEYS[3], permits = KEYS[4], answers = KEYS[5], doorbell = KEYS[6] }
local options = cjson.decode(ARGV[4])
local word = take_order(KEYS[1], ARGV[1])
if not word then return 'gone' end
local account = read_account(keys.account, options)
local function done(result)
  audit(KEYS[7], options, ARGV[3], ARGV[2], { user = word.user, outcome = result })
  return answer(reply, result)
end
if ARGV[2] == 'pause' then
  if account.paused == 'operator' then return done('idle') end
  if account.paused == ROLLED_BACK then -- and is paused after that
    redis.call('HSET', keys.account, 'paused_before', 'operator')
    return done('done')
  end
  begin_pause(keys, account, 'operator', ARGV[3])
  ring(keys)
  return done('done')
end
if ARGV[2] ~= 'resume' then return answer(reply, 'unknown') end
if account.paused == '' then return done('idle') end
if account.paused == ROLLED_BACK then return done('rolled_back') end
open_account(keys, account)
return done('done')
