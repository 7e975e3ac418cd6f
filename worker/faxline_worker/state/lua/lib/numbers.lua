-- Whether two phone numbers are the same.
local digits_of, same_number, tail_of
do
  -- iFax's numbers may lack their country (+2512445025 for +12512445025). So two numbers are the same if the shorter is the end
  -- of the longer. A country has at most three digits.
  local NATIONAL, COUNTRY = 7, 3

  function digits_of(number) return (string.gsub(number, '%D', '')) end

  function same_number(one, other)
    local short, long = digits_of(one), digits_of(other)
    if #short > #long then short, long = long, short end
    return short == long or #short >= NATIONAL and #long - #short <= COUNTRY and string.sub(long, -#short) == short
  end

  -- What two numbers that are the same have in common.
  function tail_of(number) return string.sub(digits_of(number), -NATIONAL) end
end
