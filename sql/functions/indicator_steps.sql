-- The arithmetic of the indicators, candle by candle. Pure.
--
-- RSI 14 (Wilder), MACD 12/26/9, Bollinger 20/2 and momentum 10 as TA-Lib computes them: the first value of an average
-- is the plain mean of its first period, MACD's two averages begin on the same candle. What comes before is null.

create or replace function ema_step(average double precision, value double precision, periods integer)
returns double precision
language sql immutable parallel safe
return (value - average) * (2::double precision / (periods + 1)) + average;

-- Where MACD is exactly 0 for long, its average would fall below the smallest double, which is an error.
create or replace function signal_step(signal double precision, macd double precision) returns double precision
language sql immutable parallel safe
return case when abs(signal) < double precision '1e-290' then macd * 0.2::double precision
            else (macd - signal) * 0.2::double precision + signal end;

create or replace function wilder_step(average double precision, amount double precision) returns double precision
language sql immutable parallel safe
return (average * 13 + amount) / 14;

create or replace function rise(change double precision) returns double precision
language sql immutable parallel safe
return case when change > 0 then change else 0::double precision end;

-- Sum of the squared deviations from the mean when `value` enters a window of 20 and `gone` leaves it. `total` is the
-- sum of the window with `value` in it. What is rounded off stays in the sum: where that has fallen to a thousandth of
-- its peak, it is made anew from the closes.
create or replace function squares_step(
    squares double precision, total double precision, value double precision, gone double precision)
returns double precision
language sql immutable parallel safe
return squares + (value - gone) * (value + gone - (total + total - value + gone) / 20);

-- Both from the 20 closes themselves.
create or replace function total_of(closes double precision[]) returns double precision
language sql immutable parallel safe
as $$
    select sum(close) from unnest(closes) close
$$;

create or replace function squares_of(closes double precision[]) returns double precision
language sql immutable parallel safe
as $$
    select sum((close - mean) * (close - mean))
    from unnest(closes) close, (select avg(close) from unnest(closes) close) means (mean)
$$;

-- In a market that stands still the averages halve every nine candles, down to the smallest double, and stay there.
create or replace function relative_strength(gain double precision, loss double precision) returns double precision
language sql immutable parallel safe
return case when gain < double precision '1e-290' then 0 else 100 * (gain / (gain + loss)) end;

create or replace function band_width(squares double precision) returns double precision
language sql immutable parallel safe
return 2 * sqrt(squares / 20);

create or replace function indicator_seed(closes double precision[])
returns table (average_gain double precision, average_loss double precision, fast double precision,
               slow double precision, signal double precision, total double precision, squares double precision,
               peak double precision)
language plpgsql immutable parallel safe
as $$
declare
    price double precision;
    change double precision;
    gains double precision := 0;
    losses double precision := 0;
    last_12_of_26 double precision := 0;
    all_26 double precision := 0;
    first_9 double precision := 0;
begin
    for i in 1..least(cardinality(closes), 34) loop
        price := closes[i];
        change := coalesce(price - closes[i - 1], 0);
        if i <= 15 then
            gains := gains + rise(change);
            losses := losses + rise(-change);
        end if;
        average_gain := case when i = 15 then gains / 14 else wilder_step(average_gain, rise(change)) end;
        average_loss := case when i = 15 then losses / 14 else wilder_step(average_loss, rise(-change)) end;
        if i >= 20 then
            total := total_of(closes[i - 19:i]);
            squares := squares_of(closes[i - 19:i]);
            peak := squares;
        end if;
        if i <= 26 then
            all_26 := all_26 + price;
            last_12_of_26 := last_12_of_26 + case when i > 14 then price else 0 end;
        end if;
        fast := case when i = 26 then last_12_of_26 / 12 else ema_step(fast, price, 12) end;
        slow := case when i = 26 then all_26 / 26 else ema_step(slow, price, 26) end;
        first_9 := first_9 + coalesce(fast - slow, 0);
        signal := case when i = 34 then first_9 / 9 end;
        return next;
    end loop;
end
$$;
comment on function indicator_seed(double precision[]) is
    'The running values after each of the first 34 closes of a series: null until a value has its first period behind it. After the 34th they are the beginning of a state';

create or replace function indicator_run(closes double precision[], state double precision[], renewals integer[])
returns table (average_gain double precision, average_loss double precision, fast double precision,
               slow double precision, signal double precision, total double precision, squares double precision,
               peak double precision)
language plpgsql immutable parallel safe
as $$
declare
    prices constant double precision[] := state[9:28] || closes;
    price double precision;
    change double precision;
    gone double precision;
    renewal integer := renewals[1] + 20;
begin
    average_gain := state[1];
    average_loss := state[2];
    fast := state[3];
    slow := state[4];
    signal := state[5];
    total := state[6];
    squares := state[7];
    peak := state[8];
    for i in 21..cardinality(prices) loop
        price := prices[i];
        change := price - prices[i - 1];
        average_gain := wilder_step(average_gain, rise(change));
        average_loss := wilder_step(average_loss, rise(-change));
        fast := ema_step(fast, price, 12);
        slow := ema_step(slow, price, 26);
        signal := signal_step(signal, fast - slow);
        gone := prices[i - 20];
        total := total - gone + price;
        squares := squares_step(squares, total, price, gone);
        if i = renewal or squares not between peak * 1e-3 and peak then
            if i = renewal then
                total := total_of(prices[i - 19:i]);
                squares := squares_of(prices[i - 19:i]);
                renewals := renewals[2:];
                renewal := renewals[1] + 20;
            elsif squares < peak then
                squares := squares_of(prices[i - 19:i]);
            end if;
            peak := squares;
        end if;
        return next;
    end loop;
end
$$;
comment on function indicator_run(double precision[], double precision[], integer[]) is
    'The running values after each of the closes that follow on a state. `renewals`: the numbers of the closes at which the sums are made anew, in order';
