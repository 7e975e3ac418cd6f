-- What an answer of iFax's does to the job and to the account, one function for each decision (ifax/answers.py). They take the
-- call: {account, options, id, job, token, granted_at (ms, steady: when it was admitted), answer, said (what the answer tells
-- of itself), settled (further fields of the record)}, and leave in it `applied` (the receipt that had come before the answer)
-- and `apart` (this process is at fault, because other processes' calls are accepted).
local DECISIONS
do
  local function fall_back(call, spent)
    local before, applied = fall_back_on_older(call.account, call.options, call.id, call.job, call.settled, spent)
    call.applied = applied
    return before
  end

  local function give_back(call)
    if not fall_back(call) then put_back(call.options, call.id, call.job, call.token) end
  end

  local function pause_account(call, reason)
    if call.answer.late then return end
    if only_here(call.account, call.options, call.answer) then
      call.apart = true
    else
      pause(call.account, call.options, reason, call.answer, call.granted_at)
    end
  end

  DECISIONS = {
    accepted = function(call)
      call.applied = accept(call.account, call.options, call.id, call.job, call.answer.job_id, call.settled)
    end,
    refuse = function(call)
      local account, options, id, job = call.account, call.options, call.id, call.job
      if fall_back(call, true) then return end
      if is_resent(job) and job.kind == 'send' and call.answer.reason == 'not_found' then -- iFax no longer has it
        call.settled.resend_of = ''
        return retry(account, options, id, job, call.said, 0, call.settled)
      end
      fail(options, id, job, call.said, call.settled)
    end,
    released = give_back,
    defer = function(call)
      give_back(call)
      begin_cooldown(call.account, call.options, call.granted_at, call.answer.cooldown, call.answer.jitter or 1)
    end,
    pause = function(call)
      give_back(call)
      pause_account(call, call.answer.reason)
    end,
    unreachable = function(call)
      local account, options, id, job = call.account, call.options, call.id, call.job
      if fall_back(call) then return pause_account(call, 'unreachable') end
      if job.marked ~= '1' then
        put_back(options, id, job, call.token)
        return pause_account(call, 'unreachable')
      end
      -- Something answered, and the answer may be about this fax after all. It is, if others were accepted since it was first
      -- answered so. Then no other fax waits for it.
      local before = tonumber(job.refused_at)
      put_off(options, id, job, call.said, call.token, call.answer.retry, options.unreachable_max, {})
      local others = before and accepted_since(account, math.max(before, steady - options.recent))
      if not others then pause_account(call, 'unreachable') end
    end,
    unknown = function(call)
      local account, options, id, job = call.account, call.options, call.id, call.job
      if fall_back(call) then return end
      local before, more = tonumber(job.refusals) or 0, { refusals = 0, refused_at = steady }
      if account.paused ~= 'breaker' then -- otherwise the whole account is refused, which does not count against a fax
        more.refusals = before + 1
        if before > 0 then more.refused_at = tonumber(job.refused_at) end
        local others = before > 0 and accepted_since(account, more.refused_at)
        if others or more.refusals >= options.breaker_after then return fail(options, id, job, call.said, call.settled) end
      end
      put_off(options, id, job, call.said, call.token, call.answer.retry, options.retry_max, more)
    end,
    retry = function(call)
      local account, options, id, job = call.account, call.options, call.id, call.job
      if fall_back(call, true) then return end
      if job.tries >= options.tries then return fail(options, id, job, call.said, call.settled) end
      retry(account, options, id, job, call.said, call.answer.retry, call.settled)
    end,
    in_doubt = function(call)
      local account, options, id, job, answer = call.account, call.options, call.id, call.job, call.answer
      local named = answer.named or job.also
      local owner = named and redis.call('GET', keys.job_ids .. named)
      local early = is_receipt(owner) and cjson.decode(owner)
      if early then owner = early.of end
      local foreign = owner and owner ~= id or early and early.to and job.number and not same_number(early.to, job.number)
      if foreign then named = nil end -- it is another fax's
      local is_new = named and answer.named and not owner -- otherwise it is of an older attempt
      call.settled.named = named and (is_new and job.attempt or 0) .. ' ' .. named or ''
      if is_delivered_before(id, job) then
        if not is_new then keep_doubt(options, id, job, call.token) end
        fall_back(call, true)
      else
        doubt(account, options, id, job, call.said, call.token, call.settled)
      end
      if is_new then -- its receipt is the word on this attempt
        redis.call('SET', keys.job_ids .. named, id, 'PX', int(options.retention + options.deadline))
        if early then
          leave_unmatched(early)
          if meet_job(options, id, job, early) == 'resolved_doubt' then call.applied = early end
          call.after = early.after
        end
      end
      if named and job.state == 'in_doubt' then -- iFax can be asked about it
        redis.call('HSET', keys.account_state, 'asking', '1')
        ask_about(account, options, id, steady)
      end
    end,
  }
end
