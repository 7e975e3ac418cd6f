-- The probes of a closed account: one call at a time that finds out whether it is open again.

-- How long (ms) after one probe the next may follow.
local function probe_wait(account, options, answer)
  local away = account.paused == 'unreachable'
  local first, most = options.probe_first, options.probe_max
  if away then first, most = options.unreachable_first, options.unreachable_max end
  local wait = first * 2 ^ math.min(30, account.probes)
  if away then wait = math.max(wait * (answer.jitter or 1), answer.cooldown or 0) end
  return math.min(most, wait)
end

-- A probe goes. The next waits until this one is answered or its lease has run out.
local function note_probe(account, options)
  local wait = options.lease
  if account.paused ~= '' then
    account.probes = account.probes + 1
    wait = math.max(wait, probe_wait(account, options, {}))
  end
  account.probe_at = now_us + wait * 1000
  save(account, 'probes', 'probe_at')
end
