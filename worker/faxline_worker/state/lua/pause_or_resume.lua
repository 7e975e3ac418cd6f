-- pause_or_resume: carries out an operator's order about an account and takes it off the stream.
-- include: clock bell offers account_hash closing orders audit
-- ARGV  stream entry, order (pause, resume, or probe: what finds out whether the pause is over may go now), who orders it, the
--       pause that a resume or a probe is about (reason and paused_at; empty: any), JSON options
-- reply done, idle (it was so already), rolled_back (the state went back: `recover` comes first), changed (it is paused
--       otherwise than was seen), held (only an operator ends this pause), busy (a call is under way, and its answer tells),
--       unknown (there is no such order) or gone (another dispatcher carried it out); unless it is gone, the result is also in
--       the stream `reply`
local MOST_NAMES = 500
local options = cjson.decode(ARGV[5])
local order = take_order(ARGV[1])
if not order then return 'gone' end
local account = read_account(options)
local function done(result)
  audit(options, ARGV[3], ARGV[2], { user = order.user, outcome = result })
  return answer(ARGV[1], result)
end
if ARGV[2] == 'pause' then
  local who = ARGV[3]
  if account.paused == 'operator' then -- who paused it first does not know this reason: the pause begins anew, for both
    local earlier = string.match(redis.call('HGET', keys.account_state, 'paused_by') or '', '^%d+ (.+)$') or ''
    if #earlier > MOST_NAMES or string.find(earlier .. '; ', who .. '; ', 1, true) then return done('idle') end
    if earlier ~= '' then who = earlier .. '; ' .. who end
  end
  if account.paused == ROLLED_BACK then -- and is paused after that
    redis.call('HSET', keys.account_state, 'paused_before', 'operator')
    return done('done')
  end
  begin_pause(account, 'operator', who)
  ring()
  return done('done')
end
if ARGV[2] ~= 'resume' and ARGV[2] ~= 'probe' then return answer(ARGV[1], 'unknown') end
if account.paused == '' then return done('idle') end
if account.paused == ROLLED_BACK then return done('rolled_back') end
if ARGV[4] ~= '' and ARGV[4] ~= account.paused .. ' ' .. int(account.paused_at) then return done('changed') end
if ARGV[2] == 'probe' then
  if ENDED_BY_OPERATOR[account.paused] then return done('held') end
  if redis.call('ZCOUNT', keys.permits, int(steady), '+inf') > 0 then return done('busy') end -- one probe at a time
  account.probe_at = now_us
  save(account, 'probe_at')
  ring()
  return done('done')
end
open_account(account)
return done('done')
