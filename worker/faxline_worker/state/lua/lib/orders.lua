-- The script that carries out an operator's order takes it off its stream. For a while the result is in a stream of its
-- own, on which the operator waits.
local REPLY_LIVES = 60000

-- The members of the order, or nil if it was carried out before. `user` is the Redis user that its sender claims to be.
local function take_order(entry)
  local found = redis.call('XRANGE', keys.orders, entry, entry)[1]
  if not found then return nil end
  redis.call('XDEL', keys.orders, entry)
  local order = {}
  for i = 1, #found[2], 2 do order[found[2][i]] = found[2][i + 1] end
  order.user = string.sub(order.user or '', 1, 128)
  return order
end

-- Writes the result of an order for the operator who waits. entry: the order's. ...: further fields of the reply, each name
-- with its value.
local function answer(entry, result, ...)
  local key = keys.reply .. entry
  redis.call('XADD', key, '*', 'result', result, ...)
  redis.call('PEXPIRE', key, REPLY_LIVES)
  return result
end
