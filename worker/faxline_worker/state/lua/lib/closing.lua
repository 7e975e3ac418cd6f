-- Closing: an account that is paused takes no calls but one probe at a time, which finds out whether it is over. Why it is
-- paused says `paused`: operator; unreachable, where what came back was no word of iFax's; breaker, after answers of an
-- unknown meaning; else what iFax said of the key, the balance or the permission. paused_at (us) is the beginning;
-- paused_by and paused_why have it in front, for an older version may begin a pause without them. All times are steady.
local function save(account, ...)
  local fields = {}
  for _, name in ipairs({ ... }) do
    local value = account[name]
    table.insert(fields, STORED_AS[name] or name)
    table.insert(fields, type(value) == 'number' and (name == 'limit_factor' and string.format('%.4f', value) or int(value))
      or value)
  end
  redis.call('HSET', keys.account_state, unpack(fields))
end

-- How long (ms) after one probe the next may follow.
local function probe_wait(account, options, answer)
  local away = account.paused == 'unreachable'
  local first, most = options.probe_first, options.probe_max
  if away then first, most = options.unreachable_first, options.unreachable_max end
  local wait = first * 2 ^ math.min(30, account.probes)
  if away then wait = math.max(wait * (answer.jitter or 1), answer.cooldown or 0) end
  return math.min(most, wait)
end

local function begin_pause(account, reason, by, why)
  account.paused, account.paused_at, account.probes = reason, now_us, 0
  account.paused_by = int(now_us) .. ' ' .. (by or '')
  account.paused_why = int(now_us) .. ' ' .. (why or '')
  save(account, 'paused', 'paused_at', 'paused_by', 'paused_why', 'probes')
end

-- A call that was admitted at admitted_at (ms) says that the account is to be closed. One from before it was closed says
-- nothing new; one from after is the probe.
local function pause(account, options, reason, answer, admitted_at)
  if HELD[account.paused] or admitted_at * 1000 <= account.paused_at then return end
  if account.paused == reason then
    account.probe_at = math.max(now_us, (admitted_at + probe_wait(account, options, answer)) * 1000)
    account.paused_why = int(account.paused_at) .. ' ' .. (answer.message or '')
    save(account, 'paused_why', 'probe_at')
  else
    begin_pause(account, reason, options.who, answer.message)
    account.probe_at = now_us + probe_wait(account, options, answer) * 1000
    save(account, 'probe_at')
  end
  account.probed = true
  ring_for_room()
end

-- One probe goes; no other before it is answered or its lease has run out.
local function probing(account, options)
  local wait = options.lease
  if account.paused ~= '' then
    account.probes = account.probes + 1
    wait = math.max(wait, probe_wait(account, options, {}))
  end
  account.probe_at = now_us + wait * 1000
  save(account, 'probes', 'probe_at')
end

-- A probe came back, and the account is closed still: the next may go in its time, or at once where this one asked nothing.
local function probed(account, options, answer, admitted_at, asked)
  local since = account.paused ~= '' and account.paused_at or account.cooldown_at
  local closed = account.paused ~= '' and not HELD[account.paused] or account.paused == '' and account.cooldowns > 0
  if account.probed or not closed or admitted_at * 1000 <= since or account.probe_at <= now_us then return end
  account.probe_at = now_us
  if asked and account.paused ~= '' then
    account.probe_at = math.max(now_us, (admitted_at + probe_wait(account, options, answer)) * 1000)
  end
  save(account, 'probe_at')
  ring_for_room()
end

local function open_account(account)
  account.paused, account.probes, account.probe_at = '', 0, now_us
  save(account, 'paused', 'probes', 'probe_at')
  ring()
end

-- Answers of one unknown meaning, so many in a row, close the account: whatever they mean, it is not about one fax.
local function count_unknown(account, options, answer, admitted_at)
  if not answer.meaning or admitted_at * 1000 <= account.paused_at then return end
  account.unknowns = account.unknown == answer.meaning and account.unknowns + 1 or 1
  account.unknown = answer.meaning
  save(account, 'unknown', 'unknowns')
  if account.paused == 'breaker' or account.unknowns >= options.breaker_after then
    pause(account, options, 'breaker', answer, admitted_at)
  end
end

-- Whose calls iFax accepts: the last acceptance, and the last of another process, each as the time (ms) at which the call
-- was admitted and who made it.
local function acceptance(text)
  local at, who = string.match(text, '^(%d+) (.*)$')
  return tonumber(at) or 0, who
end

-- What to write of an acceptance; `answered` does so along with its own. Without limits it would be a write of its own,
-- so then once a second.
local function note_acceptance(account, options, admitted_at)
  local at, who = acceptance(account.accepted)
  if who == options.who then
    if admitted_at < at + (options.requests > 0 and 1 or 1000) then return end
    account.noted = { 'accepted', int(admitted_at) .. ' ' .. who }
  else
    local before = acceptance(account.accepted_before)
    if options.requests == 0 and steady < math.max(at, before) + 1000 then return end
    account.noted = { 'accepted', int(math.max(at, admitted_at)) .. ' ' .. options.who, 'accepted_before',
      account.accepted }
  end
end

-- Whether a fax of the account was accepted whose call began after that moment (ms).
local function accepted_since(account, moment)
  return math.max((acceptance(account.accepted)), (acceptance(account.accepted_before))) > moment
end

-- Whether it is this process alone that cannot reach iFax, or has a key that iFax refuses: another one's calls were
-- accepted lately, and that one was not the last to be found so itself since then (`apart`: when, ms, and who).
local function only_here(account, options, answer)
  if not answer.ours then return false end
  local at, other = acceptance(account.accepted)
  if other == options.who then at, other = acceptance(account.accepted_before) end
  local found, who = acceptance(account.apart)
  if at <= steady - options.recent or who == other and found >= at then return false end
  account.apart = int(steady) .. ' ' .. options.who
  save(account, 'apart')
  return true
end
