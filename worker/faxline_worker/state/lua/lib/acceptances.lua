-- Whose calls iFax accepts: the last acceptance, and the last of another process, each as the time (ms) at which the call
-- was admitted and who made it.
local note_acceptance, accepted_since, only_here
do
  local function acceptance(text)
    local at, who = string.match(text, '^(%d+) (.*)$')
    return tonumber(at) or 0, who
  end

  -- What to write of an acceptance; `note_answer` does so along with its own. Without limits it would be a write of its own,
  -- so then once a second.
  function note_acceptance(account, options, admitted_at)
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
  function accepted_since(account, moment)
    return math.max((acceptance(account.accepted)), (acceptance(account.accepted_before))) > moment
  end

  -- Whether it is this process alone that cannot reach iFax, or has a key that iFax refuses: another one's calls were
  -- accepted lately, and that one was not the last to be found so itself since then (`apart`: when, ms, and who).
  function only_here(account, options, answer)
    if not answer.ours then return false end
    local at, other = acceptance(account.accepted)
    if other == options.who then at, other = acceptance(account.accepted_before) end
    local found, who = acceptance(account.apart)
    if at <= steady - options.recent or who == other and found >= at then return false end
    account.apart = int(steady) .. ' ' .. options.who
    save(account, 'apart')
    return true
  end
end
