-- The script that carries out an operator's order takes it off its stream. For a while the result is in a stream of its
-- own, on which the operator waits.
local take_order, let_copies_run, answer
do
  local REPLY_LIVES = 60000
  -- If the reply to its XADD is lost, or nobody carried it out in time, an order is added again, with the same token. So the
  -- result stands under the token, too, for as long as a copy may wait behind other orders.
  local TOKEN_LIVES = 3600000
  local token

  local function write_reply(name, lives, fields)
    redis.call('XADD', keys.reply .. name, '*', unpack(fields))
    redis.call('PEXPIRE', keys.reply .. name, lives)
  end

  -- The members of the order, or nil if it was carried out before. A copy of such a one gets the same answer. `user` is the
  -- Redis user that its sender claims to be.
  function take_order(entry)
    local found = redis.call('XRANGE', keys.orders, entry, entry)[1]
    if not found then return nil end
    redis.call('XDEL', keys.orders, entry)
    local order = {}
    for i = 1, #found[2], 2 do order[found[2][i]] = found[2][i + 1] end
    order.user = string.sub(order.user or '', 1, 128)
    token = order.token and string.sub(order.token, 1, 128) or ''
    local known = token ~= '' and redis.call('XRANGE', keys.reply .. token, '-', '+', 'COUNT', 1)[1]
    if known then
      write_reply(entry, REPLY_LIVES, known[2])
      return nil
    end
    return order
  end

  -- A copy of this order is carried out, too: what is in its way now may soon be over.
  function let_copies_run() token = '' end

  -- Writes the result of an order for the operator who waits. entry: the order's. ...: further fields of the reply, each name
  -- with its value.
  function answer(entry, result, ...)
    local fields = { 'result', result, ... }
    write_reply(entry, REPLY_LIVES, fields)
    if token ~= '' then write_reply(token, TOKEN_LIVES, fields) end
    return result
  end
end
