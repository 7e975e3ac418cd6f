-- An operator's order leaves its stream in the script that carries it out; what became of it stands for a while in a
-- stream of its own, on which the one who gave the order waits.
local REPLY_LIVES = 60000

-- The members of the order; nil where it was carried out before. `user` is the Redis user that its sender says it is.
local function take_order(entry)
  local found = redis.call('XRANGE', keys.orders, entry, entry)[1]
  if not found then return nil end
  redis.call('XDEL', keys.orders, entry)
  local order = {}
  for i = 1, #found[2], 2 do order[found[2][i]] = found[2][i + 1] end
  order.user = string.sub(order.user or '', 1, 128)
  return order
end

-- entry: the order's. more: one further field of the reply, with its value.
local function answer(entry, result, more, value)
  local key = keys.reply .. entry
  redis.call('XADD', key, '*', 'result', result, unpack(more and { more, value } or {}))
  redis.call('PEXPIRE', key, REPLY_LIVES)
  return result
end
