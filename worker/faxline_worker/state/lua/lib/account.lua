-- What an answer says about the account as a whole: the gate after a 429, the strain of calls that hang, and whether a
-- pause is over. Every field is in the account's hash.
-- A 429 although we were inside the limits: somebody else uses the key. The gate closes for `wait` (ms; nil: a
-- backoff that doubles with each one after another), once for all calls that were under way, and the share that
-- is used of the limits shrinks towards what was in use.
local function close_gate(keys, account, options, admitted_at, wait, jitter)
  if admitted_at * 1000 > account.gated_at then
    local whole = { requests = options.requests, window = options.window }
    local share = share_of(account, whole)
    local used = options.requests > 0 and (redis.call('ZCARD', keys.permits) + count_answers(keys, whole))
      / options.requests or share
    account.share = math.max(options.share_least, share * 0.5, math.min(share * 0.9, used * 0.9))
    account.gates = account.gates + 1
    account.gated_at = now_us
  end
  wait = wait or options.gate_base * 2 ^ math.min(20, account.gates - 1) * jitter
  wait = math.min(math.max(wait, options.gate_least), options.gate_max)
  account.gate = math.max(account.gate, now_us + wait * 1000)
  account.share_at, account.probed = account.gate, true
  if account.paused == '' then account.probe_at = account.gate end -- one call finds out whether it is over
  save(keys, account, 'gate', 'gated_at', 'gates', 'share', 'share_at', 'probe_at')
  ring(keys)
end

-- The decisions that only a word of iFax's own leads to.
local WORDS = { accepted = true, refuse = true, unknown = true, retry = true, pause = true, defer = true }

-- What iFax's answer to a call admitted at admitted_at (ms, steady) tells: it took its time (us), the key works, the 429s
-- are over, calls do not hang. `silent`: no answer came in time; half as many calls may hang from now on. A control call
-- tells nothing of what becomes of faxes, and a question (`poll`) nothing of what only sending needs.
local OF_SENDING = { insufficient_balance = true, no_permission = true }
local function learn(keys, account, options, answer, admitted_at, control_call)
  if answer.silent then
    local limit = account.strain > 0 and account.strain or options.concurrency > 0 and options.concurrency
      or redis.call('ZCARD', keys.permits) + 1
    account.strain = math.max(1, math.floor(limit / 2))
    return save(keys, account, 'strain')
  end
  local took = math.max(0, steady - admitted_at) * 1000
  account.seconds = account.seconds and (account.seconds * 0.9 + took * 0.1) or took
  if account.strain > 0 then
    account.strain = account.strain * 2
    if account.strain >= (options.concurrency > 0 and options.concurrency or 1000) then account.strain = 0 end
    save(keys, account, 'strain')
  end
  local good = answer.decision == 'accepted' or answer.decision == 'refuse'
  if good and account.gates > 0 and admitted_at * 1000 > account.gated_at then
    account.gates = 0
    save(keys, account, 'gates')
    ring_for_room(keys)
  end
  if good and account.unknowns > 0 and not control_call then
    account.unknown, account.unknowns = '', 0
    save(keys, account, 'unknown', 'unknowns')
  end
  local opens = good and not (control_call and account.paused == 'breaker'
    or control_call == 'poll' and OF_SENDING[account.paused])
  if account.paused == 'unreachable' then opens = WORDS[answer.decision] end
  if opens and account.paused ~= '' and not HELD[account.paused] and admitted_at * 1000 > account.paused_at then
    open_account(keys, account)
  end
end
