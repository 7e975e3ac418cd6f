-- A control call is a call about a job that does not submit it: `status` asks how a submitted fax stands, `cancel` asks
-- iFax not to send a fax that it keeps for a date. In the ready set it is !kind!job, of rank 0 and so before all jobs. It
-- takes a permit like any call.
local function control_call_of(kind, id) return '!' .. kind .. '!' .. id end

local function parse_control_call(member) return string.match(member, '^!(%l+)!(.*)$') end

local function send_control_call(member)
  redis.call('ZADD', keys.ready, int(now_us - EPOCH_US), member)
  ring_for_room()
end

-- fax-cancel was not accepted, or its result is unknown: it is asked again after `wait` (ms), a few times. Asking twice
-- does no harm, but a refusal of the second may mean that the first succeeded, which only the receipt tells. Returns true
-- if this was the last time.
local function cancel_again(options, id, job, wait, doubt)
  if doubt then redis.call('HSET', keys.job .. id, 'canceling', 'doubt') end
  if redis.call('HINCRBY', keys.job .. id, 'cancel_tries', 1) >= options.tries then return true end
  redis.call('ZADD', keys.delayed, int(now + wait), control_call_of('cancel', id))
  ring()
  return false
end
