-- What an answer tells about the account as a whole: whether it must cool down after a 429, whether calls hang, and whether a
-- pause is over. All of it is stored in the account's hash.

-- A 429 that our own traffic did not cause: somebody else uses the key. The account cools down for `wait` (ms; nil: a back-off
-- that doubles with each 429 in a row), once for all calls that were under way. Its limits shrink towards what was in use.
local function begin_cooldown(account, options, admitted_at, wait, jitter)
  if admitted_at * 1000 > account.cooldown_at then
    local whole = { requests = options.requests, window = options.window }
    local factor = limit_factor_of(account, whole)
    local used = options.requests > 0 and (redis.call('ZCARD', keys.permits) + count_answers(whole))
      / options.requests or factor
    account.limit_factor = math.max(options.limit_factor_min, factor * 0.5, math.min(factor * 0.9, used * 0.9))
    account.cooldowns = account.cooldowns + 1
    account.cooldown_at = now_us
  end
  wait = wait or options.cooldown_base * 2 ^ math.min(20, account.cooldowns - 1) * jitter
  wait = math.min(math.max(wait, options.cooldown_min), options.cooldown_max)
  account.cooldown_until = math.max(account.cooldown_until, now_us + wait * 1000)
  account.limit_factor_at, account.probed = account.cooldown_until, true
  if account.paused == '' then account.probe_at = account.cooldown_until end -- one call finds out whether it is over
  save(account, 'cooldown_until', 'cooldown_at', 'cooldowns', 'limit_factor', 'limit_factor_at', 'probe_at')
  ring()
end

local learn
do
  -- The decisions that only an answer of iFax's own leads to.
  local WORDS = { accepted = true, refuse = true, unknown = true, retry = true, pause = true, defer = true }

  -- Learns from the answer to a call that was admitted at admitted_at (ms, steady): how long calls take (us), that the key
  -- works, that the 429s are over, that calls do not hang. After `silent`, no answer in time, half as many calls may be under
  -- way. A control call says nothing about faxes, and a question (`poll`) nothing about what only sending needs.
  function learn(account, options, answer, admitted_at, control_call)
    if answer.silent then
      local limit = account.concurrency_backoff > 0 and account.concurrency_backoff
        or options.concurrency > 0 and options.concurrency or redis.call('ZCARD', keys.permits) + 1
      account.concurrency_backoff = math.max(1, math.floor(limit / 2))
      return save(account, 'concurrency_backoff')
    end
    local took = math.max(0, steady - admitted_at) * 1000
    account.seconds = account.seconds and (account.seconds * 0.9 + took * 0.1) or took
    if account.concurrency_backoff > 0 then
      local doubled = account.concurrency_backoff * 2
      account.concurrency_backoff = doubled < (options.concurrency > 0 and options.concurrency or 1000) and doubled or 0
      save(account, 'concurrency_backoff')
    end
    local good = answer.decision == 'accepted' or answer.decision == 'refuse'
    if good and account.cooldowns > 0 and admitted_at * 1000 > account.cooldown_at then
      account.cooldowns = 0
      save(account, 'cooldowns')
      ring_for_room()
    end
    if good and account.unknowns > 0 and not control_call then
      account.unknown, account.unknowns = '', 0
      save(account, 'unknown', 'unknowns')
    end
    local opens = good and not (control_call and account.paused == 'breaker'
      or control_call == 'poll' and OF_SENDING[account.paused])
    if account.paused == 'unreachable' then opens = WORDS[answer.decision] end
    if opens and account.paused ~= '' and not ENDED_BY_OPERATOR[account.paused] and admitted_at * 1000 > account.paused_at then
      open_account(account)
    end
  end
end
