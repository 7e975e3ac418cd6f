-- A control call is a call about a job that is no submission: `status`, the question how a submitted fax stands, and
-- `cancel`, the wish that iFax does not send one that it keeps for a date. In the ready set it is !kind!job, of rank 0,
-- so ahead of all; it takes a permit like any call.
local function control_call_of(kind, id) return '!' .. kind .. '!' .. id end

local function parse_control_call(member) return string.match(member, '^!(%l+)!(.*)$') end

local function send_control_call(member)
  redis.call('ZADD', keys.ready, int(now_us - EPOCH_US), member)
  ring_for_room()
end

-- What became of fax-cancel is not known, or it was not taken: asked again after `wait` (ms), a few times. Asking twice
-- does no harm; but a refusal of the second may then mean that the first did it, and only the receipt tells. True
-- when it was the last time.
local function cancel_again(options, id, job, wait, doubt)
  if doubt then redis.call('HSET', keys.job .. id, 'canceling', 'doubt') end
  if redis.call('HINCRBY', keys.job .. id, 'cancel_tries', 1) >= options.tries then return true end
  redis.call('ZADD', keys.delayed, int(now + wait), control_call_of('cancel', id))
  ring()
  return false
end
