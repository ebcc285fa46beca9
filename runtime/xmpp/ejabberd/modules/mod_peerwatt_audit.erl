%% The server's own record of who said what to whom, to hold agents' logs against: one JSON object a line, appended
%% for each message that a logged-in account sends, before it is routed. Lines are those of Prosody's module
%% (runtime/xmpp/prosody/modules/mod_peerwatt_audit.lua), whose head says what is in them; the body itself is never
%% written. Of a cluster, each node has a record of what it took from its own sessions.
%%
%% PEERWATT_AUDIT: where to append, or none; moved away (rotated) it is opened anew with `ejabberdctl reload_config`.

-module(mod_peerwatt_audit).
-behaviour(gen_mod).
-behaviour(gen_server).

-export([start/2, stop/1, reload/3, depends/2, mod_options/1, mod_doc/0, sent/1]).
-export([init/1, handle_call/3, handle_cast/2]).

-define(CUT_BYTES, 200).
-define(FIELDS, [<<"performative">>, <<"protocol">>, <<"ontology">>, <<"reply-with">>, <<"in-reply-to">>,
                 <<"reply-by">>, <<"expects-reply">>]).

start(Host, Options) ->
    case path() of
        "none" ->
            ok;
        _ ->
            ejabberd_hooks:add(user_send_packet, Host, ?MODULE, sent, 10),
            gen_mod:start_child(?MODULE, Host, Options)
    end.

stop(Host) ->
    case path() of
        "none" ->
            ok;
        _ ->
            ejabberd_hooks:delete(user_send_packet, Host, ?MODULE, sent, 10),
            gen_mod:stop_child(?MODULE, Host)
    end.

path() -> os:getenv("PEERWATT_AUDIT").

reload(Host, _New, _Old) ->
    gen_server:call(gen_mod:get_module_proc(Host, ?MODULE), reopen).

depends(_Host, _Options) -> [].

mod_options(_Host) -> [].

mod_doc() -> #{}.

%% A session waits until its message is in the record: what was not recorded is not carried.
sent({Packet, #{jid := Sender, lserver := Host} = State}) when element(1, Packet) =:= message ->
    Line = line(jid:encode(Sender), xmpp:encode(Packet)),
    ok = gen_server:call(gen_mod:get_module_proc(Host, ?MODULE), {write, Line}, infinity),
    {Packet, State};
sent(Other) ->
    Other.

line(Sender, Message) ->
    Body = fxml:get_path_s(Message, [{elem, <<"body">>}, cdata]),
    Form = fxml:get_subtag_with_xmlns(Message, <<"x">>, <<"jabber:x:data">>),
    object([{"time_unix_s", unix_s()},
            {"sender", text(Sender)},
            {"recipient", attribute(<<"to">>, Message)},
            {"stanza_id", attribute(<<"id">>, Message)},
            {"type", attribute(<<"type">>, Message)},
            {"thread", thread(Message, Form)},
            {"fields", fields(Form)},
            {"body_bytes", integer_to_binary(byte_size(Body))},
            {"body_sha256", digest(fxml:get_subtag(Message, <<"body">>), Body)}]).

attribute(Name, Message) ->
    case fxml:get_tag_attr(Name, Message) of
        {value, Value} -> text(cut(Value));
        false -> absent
    end.

thread(Message, Form) ->
    case fxml:get_subtag(Message, <<"thread">>) of
        false when Form =/= false -> field(<<"_thread_node">>, Form);
        false -> absent;
        Thread -> text(cut(fxml:get_tag_cdata(Thread)))
    end.

fields(false) -> absent;
fields(Form) -> object([{Name, field(Name, Form)} || Name <- ?FIELDS]).

field(Name, {xmlel, _, _, Children}) ->
    Found = [Field || {xmlel, <<"field">>, _, _} = Field <- Children,
                      fxml:get_tag_attr(<<"var">>, Field) =:= {value, Name}],
    case Found of
        [] -> absent;
        _ -> text(cut(fxml:get_path_s(lists:last(Found), [{elem, <<"value">>}, cdata])))
    end.

digest(false, _) -> absent;
digest(_, Body) -> text(string:lowercase(binary:encode_hex(crypto:hash(sha256, Body)))).

unix_s() ->
    io_lib:format("~.6f", [os:system_time(microsecond) / 1000000]).

object(Pairs) ->
    Told = [[$", Name, $", $:, Value] || {Name, Value} <- Pairs, Value =/= absent],
    [${, lists:join($,, Told), $}].

%% Bytes as they are, of which a cut may leave half a character at the end.
text(Bytes) ->
    [$", << <<(escaped(Byte))/binary>> || <<Byte>> <= Bytes >>, $"].

escaped($") -> <<"\\\"">>;
escaped($\\) -> <<"\\\\">>;
escaped(Byte) when Byte < 16#20 -> iolist_to_binary(io_lib:format("\\u~4.16.0b", [Byte]));
escaped(Byte) -> <<Byte>>.

cut(<<Begin:?CUT_BYTES/binary, _/binary>>) -> Begin;
cut(Whole) -> Whole.

%% The file.

init(_Arguments) ->
    {ok, open("")}.

handle_call({write, Line}, _From, File) ->
    ok = file:write(File, [Line, $\n]),
    {reply, ok, File};
handle_call(reopen, _From, File) ->
    ok = file:close(File),
    {reply, ok, open(",\"reopened\":true")}.

handle_cast(_Request, File) ->
    {noreply, File}.

open(Reopened) ->
    Path = path(),
    %% Half a line that a crash left is ended, so that it does not spoil the next.
    Torn = case file:open(Path, [read, raw, binary]) of
               {ok, Before} ->
                   Last = file:pread(Before, {eof, -1}, 1),
                   ok = file:close(Before),
                   case Last of
                       {ok, <<"\n">>} -> "";
                       {ok, _} -> "\n";
                       _ -> ""
                   end;
               {error, enoent} ->
                   ""
           end,
    {ok, File} = file:open(Path, [append, raw, binary]),
    ok = file:write(File, [Torn, "{\"opened_unix_s\":", unix_s(), Reopened, "}\n"]),
    File.
