-- An operator's order leaves its stream in the script that carries it out; what became of it stands for a while in a
-- stream of its own, on which the one who gave the order waits.
local REPLY_LIVES = 60000

local function take_order(orders, entry) return redis.call('XDEL', orders, entry) == 1 end

-- more: one further field of the reply, with its value.
local function answer(key, result, more, value)
  redis.call('XADD', key, '*', 'result', result, unpack(more and { more, value } or {}))
  redis.call('PEXPIRE', key, REPLY_LIVES)
  return result
end
