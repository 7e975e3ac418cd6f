-- No answer of iFax's came to a question: the schedule asks again, or the question goes again that an operator ordered (ask.lua).
local function ask_again(id)
  if ask_within(id, 0) then return end
  redis.call('ZADD', keys.asks, '+inf', '!' .. id)
  send_control_call(control_call_of('poll', id))
end
