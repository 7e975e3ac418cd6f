-- ask: an operator has iFax asked now how a fax stands, ahead of all jobs. The order leaves its stream.
-- include: clock bell record offers account_hash control_calls polling question_times orders audit
-- ARGV  stream entry of the order, job id, who orders it, JSON options
-- reply done, idle (it is asked already), refused (there is no such job, or no jobId to ask about, or its end is known) or gone;
--       unless it is gone, the result is also in the stream `reply`, with the job's `state`
local id, options = ARGV[2], cjson.decode(ARGV[4])
local job = read_record(keys.job .. id) -- first, for it may refuse
local order = take_order(ARGV[1])
if not order then return 'gone' end
read_account(options)
local result = 'refused'
if job and askable(job) then
  result = is_asked(id) and 'idle' or 'done'
  if result == 'done' then
    redis.call('ZREMRANGEBYSCORE', keys.asks, '-inf', '(' .. int(now_us - options.window)) -- no schedule may do it
    redis.call('ZADD', keys.asks, '+inf', '!' .. id)
    send_control_call(control_call_of('poll', id))
  end
end
audit(options, ARGV[3], 'ask', { user = order.user, job = id, outcome = result })
return answer(ARGV[1], result, 'state', job and job.state or '')
