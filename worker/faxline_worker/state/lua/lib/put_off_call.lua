-- iFax takes no control calls now (`defer`, `pause`, `unreachable`): the account cools down, pauses or goes on, and the
-- call is put off. call: {account, options, id, kind, member (of the ready set), answer, admitted_at (ms, steady)}.

local put_off_call
do
  -- A refused question pauses nothing, unless the refusal is about the key. iFax does not document fax-status: it may need a
  -- permission or a plan that sending does not, or no longer exist, while faxes are accepted.
  local ABOUT_KEY = { authentication_failed = true, invalid_key = true, unusable_key = true, key_missing = true }
  local function only_the_question(call)
    local answer = call.answer
    if call.kind ~= 'poll' then return false end
    if answer.decision == 'pause' then return not ABOUT_KEY[answer.reason] end
    return answer.decision == 'unreachable' and answer.status
      and accepted_since(call.account, call.admitted_at - call.options.recent)
  end

  local function ask_later(call)
    local answer, options = call.answer, call.options
    if call.kind == 'poll' then
      if answer.decision ~= 'unreachable' or not answer.status then ask_again(call.id) end
    elseif answer.decision == 'unreachable' and answer.status then -- it may be about this call: it does not go first again
      redis.call('ZADD', keys.delayed, int(now + options.unreachable_max), call.member)
      ring_by_alarm(now + options.unreachable_max)
    else
      send_control_call(call.member)
    end
  end

  local PUT_OFF = { defer = true, pause = true, unreachable = true }

  -- Whether the call was put off. call.apart: this process is at fault, because other processes' calls are accepted.
  function put_off_call(call)
    local account, options, answer, decision = call.account, call.options, call.answer, call.answer.decision
    if not PUT_OFF[decision] then return false end
    if only_the_question(call) then
      ring_for_room() -- the caller may make no further call
      return true
    end
    if decision == 'defer' then
      begin_cooldown(account, options, call.admitted_at, answer.cooldown, answer.jitter or 1)
    elseif not answer.late and only_here(account, options, answer) then
      call.apart = true
    elseif not answer.late then
      pause(account, options, decision == 'pause' and answer.reason or decision, answer, call.admitted_at)
    end
    ask_later(call)
    return true
  end
end
