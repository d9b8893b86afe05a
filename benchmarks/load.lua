-- The load of every row: tokens in rotation, and a Cf-Ray of its own for each request, because identical
-- requests flatter caches. Where a token holds {nonce}, each request carries another token.
-- Arguments: the head of a request with {token} and {ray}; a file of tokens; the first number;
-- milliseconds between an answer and the next request of a connection.
local heads, next_head, number = {}, 0, 0

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

-- The text between the marks, and the marks themselves, in their order.
local function pieces(head)
  local texts, marks, from = {}, {}, 1
  while true do
    local first, last, mark = head:find("{(%a+)}", from)
    if not first then break end
    texts[#texts + 1], marks[#marks + 1], from = head:sub(from, first - 1), mark, last + 1
  end
  texts[#texts + 1] = head:sub(from)
  return {texts = texts, marks = marks}
end

function init(args)
  local template = read(args[1])
  for token in io.lines(args[2]) do
    heads[#heads + 1] = pieces((template:gsub("{token}", function() return token end)))
  end
  number = tonumber(args[3])
  local pause = tonumber(args[4])
  if pause > 0 then _G.delay = function() return pause end end  -- wrk asks for it after this
end

local function value(mark)
  if mark == "ray" then return string.format("%016x", number) end
  return string.format("%08x", number % 4294967296)
end

function request()
  next_head = next_head % #heads + 1
  number = number + 1
  local texts, marks = heads[next_head].texts, heads[next_head].marks
  if #marks == 1 then return texts[1] .. value(marks[1]) .. texts[2] end
  return texts[1] .. value(marks[1]) .. texts[2] .. value(marks[2]) .. texts[3]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"seconds":%.6f,"requests":%d,"bytes":%.0f,"p50_us":%.0f,"p99_us":%.0f,"refused":%d,"errors":%d}\n',
    summary.duration / 1e6, summary.requests, summary.bytes,
    latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
