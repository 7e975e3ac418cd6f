-- What an answer says about the account as a whole: the gate after a 429, the pause, the strain of calls that
-- hang. Every field is in the account's hash.
local function save(keys, account, ...)
  local fields = {}
  for _, name in ipairs({ ... }) do
    local value = account[name]
    table.insert(fields, name)
    table.insert(fields, type(value) == 'number' and (name == 'share' and string.format('%.4f', value) or int(value))
      or value)
  end
  redis.call('HSET', keys.account, unpack(fields))
end

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
  account.share_at = account.gate
  save(keys, account, 'gate', 'gated_at', 'gates', 'share', 'share_at')
  ring(keys)
end

local function pause(keys, account, options, reason)
  if account.paused == '' then
    account.paused_at, account.probes, account.probe_at = now_us, 0, now_us + options.probe_first * 1000
  end
  if not HELD[account.paused] then account.paused = reason end
  save(keys, account, 'paused', 'paused_at', 'probes', 'probe_at')
  ring(keys)
end

-- One probe goes; the next may follow after twice the time.
local function probing(keys, account, options)
  account.probes = account.probes + 1
  local wait = math.min(options.probe_max, options.probe_first * 2 ^ math.min(30, account.probes))
  account.probe_at = now_us + wait * 1000
  save(keys, account, 'probes', 'probe_at')
end

local function open_account(keys, account)
  account.paused, account.probes = '', 0
  save(keys, account, 'paused', 'probes')
  ring(keys)
end

-- What iFax's answer to a call admitted at admitted_at (ms, steady) tells: it took its time (us), the key works, the 429s
-- are over, calls do not hang. `silent`: no answer came in time; half as many calls may hang from now on.
local function learn(keys, account, options, answer, admitted_at)
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
  end
  if good and account.paused ~= '' and not HELD[account.paused] and admitted_at * 1000 > account.paused_at then
    open_account(keys, account)
  end
end
