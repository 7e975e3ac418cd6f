-- Which entries of a batch are still pending in intake. An entry that another dispatcher has registered is not, and every
-- entry that comes here was read by somebody. Most of them stand together; if many others are pending between them, each is
-- looked up by itself.
local function pending_entries(group, items)
  local pending = {}
  local function look(first, last, most)
    local found = redis.call('XPENDING', keys.intake, group, first, last, most)
    for _, entry in ipairs(found) do pending[entry[1]] = true end
    return #found == most
  end
  if look(items[1].entry, items[#items].entry, 2 * #items + 100) then
    for _, item in ipairs(items) do
      if not pending[item.entry] then look(item.entry, item.entry, 1) end
    end
  end
  return pending
end
