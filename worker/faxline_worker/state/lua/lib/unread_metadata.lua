-- The metadata of an entry that no process may open any more. Redis' own JSON reader bounds how deep it goes, and raises
-- instead of ending. It changes long numbers and empty lists, so metadata with such is left out, and that of large entries.
local unread_metadata
do
  local LARGEST_READ, LARGEST_METADATA, LONGEST_NUMBER = 65536, 4096, 1e14

  local function survives(value)
    if type(value) == 'number' then return value % 1 == 0 and math.abs(value) < LONGEST_NUMBER end
    if type(value) ~= 'table' then return true end
    if next(value) == nil then return false end
    for _, inner in pairs(value) do
      if not survives(inner) then return false end
    end
    return true
  end

  -- fields: of the entry. Returns JSON, or nil.
  function unread_metadata(fields)
    local raw = fields[2] or ''
    if #raw > LARGEST_READ then return nil end
    local well, entry = pcall(cjson.decode, raw)
    local metadata = well and type(entry) == 'table' and entry.metadata or nil
    if type(metadata) ~= 'table' or metadata[1] ~= nil or not survives(metadata) then return nil end
    local written, text = pcall(cjson.encode, metadata)
    return written and #text <= LARGEST_METADATA and text or nil
  end
end
