-- A paused account takes no calls but one probe at a time, which finds out whether the pause is over. `paused` has the cause:
-- operator; unreachable, if what came back was no answer of iFax's; breaker, after answers of unknown meaning; or what iFax
-- said about the key, the balance or the permission. paused_at (us) is when it began. paused_by and paused_why begin with the
-- same time, because an older version may begin a pause without them. All times are by the steady clock.

local function begin_pause(account, reason, by, why)
  account.paused, account.paused_at, account.probes = reason, now_us, 0
  account.paused_by = int(now_us) .. ' ' .. (by or '')
  account.paused_why = int(now_us) .. ' ' .. (why or '')
  save(account, 'paused', 'paused_at', 'paused_by', 'paused_why', 'probes')
end

-- A call that was admitted at admitted_at (ms) shows that the account must pause. A call from before the pause tells
-- nothing new; one from after it is the probe.
local function pause(account, options, reason, answer, admitted_at)
  if ENDED_BY_OPERATOR[account.paused] or admitted_at * 1000 <= account.paused_at then return end
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

-- A probe came back, and the account is still closed: the next goes in its time, or at once if this one asked nothing.
local function end_probe(account, options, answer, admitted_at, asked)
  local since = account.paused ~= '' and account.paused_at or account.cooldown_at
  local paused = account.paused ~= '' and not ENDED_BY_OPERATOR[account.paused]
  local closed = paused or account.paused == '' and account.cooldowns > 0
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

-- So many answers of one unknown meaning in a row pause the account: whatever they mean, they are not about one fax.
local function count_unknown(account, options, answer, admitted_at)
  if not answer.meaning or admitted_at * 1000 <= account.paused_at then return end
  account.unknowns = account.unknown == answer.meaning and account.unknowns + 1 or 1
  account.unknown = answer.meaning
  save(account, 'unknown', 'unknowns')
  if account.paused == 'breaker' or account.unknowns >= options.breaker_after then
    pause(account, options, 'breaker', answer, admitted_at)
  end
end
