-- A script that ends many jobs passes a batch. What leaves an index, and how many jobs ended how, is collected in it and
-- written in one go after the last job (write_batch); until then the script reads none of it again.
local function new_batch_of_ends() return { removed = {}, ended = {}, nobody_waits = nil } end

local function write_batch(batch)
  for state, n in pairs(batch.ended) do redis.call('HINCRBY', keys.account_state, 'done:' .. state, n) end
  for command, members_of in pairs(batch.removed) do
    for key, members in pairs(members_of) do redis.call(command, key, unpack(members)) end
  end
end
