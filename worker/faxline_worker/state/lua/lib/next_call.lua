-- What follows when a call is settled: the caller takes the next job, or others are woken.
local go_on
do
  local function wake_others(account, options, r, most)
    local ready, out = unwoken()
    local moments = {}
    for i = 1, math.min(r.free - out, ready, most) do moments[i] = now_us end
    local wakes = grant_wakes(moments, options.wake_lease)
    if account.waits == '1' then
      if ready <= #wakes then await_answer(account, '') elseif r.by_answer == false then ring_for_room() end
    end
    return wakes
  end

  -- token, chance: the next permit's, as for `admit`; without a token the caller stops here. Returns what was admitted, or nil,
  -- and the wake-ups to send.
  function go_on(account, options, token, chance)
    if account.newer or account.waits == 'time' then return nil, {} end
    local r, following = room(account, limits_of(options, account)), nil
    -- If there is little room, what is free may belong to others who are on their way.
    if token ~= '' and r.free > 0 and (r.free >= PLENTY or r.free > woken()) then
      following = admit_best(account, options, r, token, chance)
      if not following then
        if account.waits == '1' then await_answer(account, '') end
        return nil, {}
      end
      r.free = r.free - 1
    end
    if account.waits == '1' then -- the next job waits for an answer, and this was one
      return following, wake_others(account, options, r, 10)
    elseif token == '' and r.free > 0 then
      return following, wake_others(account, options, r, 1)
    end
    return following, {}
  end
end
