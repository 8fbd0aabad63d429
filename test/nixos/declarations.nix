# The options of options.json as they are in one release: a tree of groups and options, and the checks of unit sections.
{ release }:
let
  inherit (builtins)
    any
    attrNames
    compareVersions
    concatLists
    concatMap
    elem
    elemAt
    filter
    fromJSON
    genList
    groupBy
    head
    isAttrs
    isBool
    isFloat
    isInt
    isString
    length
    listToAttrs
    mapAttrs
    match
    readFile
    split
    tail
    toJSON
    typeOf
    ;

  data = fromJSON (readFile ./options.json);

  pathOf = text: filter isString (split "\\." text);

  # Entries that say since when and until when they are.
  isThere =
    entry:
    !(isAttrs entry)
    || (
      (!(entry ? since) || compareVersions release entry.since >= 0)
      && (!(entry ? until) || compareVersions release entry.until < 0)
    );

  declared = concatMap (
    text:
    let
      entry = data.options.${text};
      option = if isAttrs entry && entry ? type then entry else { type = entry; };
    in
    if isThere entry then
      [
        {
          path = pathOf text;
          inherit (option) type;
          required = option.required or false;
        }
      ]
    else
      [ ]
  ) (attrNames data.options);

  # What stands below an option is declared for the submodules in it.
  nest =
    entries:
    mapAttrs (
      _: same:
      let
        here = filter (entry: length entry.path == 1) same;
        below = nest (
          concatMap (
            entry: if length entry.path > 1 then [ (entry // { path = tail entry.path; }) ] else [ ]
          ) same
        );
      in
      if here == [ ] then
        { group = below; }
      else
        {
          inherit (head here) type required;
          inherit below;
        }
    ) (groupBy (entry: head entry.path) entries);

  switch = [
    true
    false
    "yes"
    "no"
  ];

  isWithin =
    limits: value: elemAt limits 0 <= value && (elemAt limits 1 == null || value <= elemAt limits 1);
  isNumber = value: isInt value || isFloat value;

  # 17 characters, hexadecimal between the colons: nixpkgs does not look how long the parts are.
  isMac = value: isString value && match "[0-9a-fA-F:]{17}" value != null;

  rangesOf =
    states:
    concatLists (
      genList (
        from: genList (more: "${elemAt states from}:${elemAt states (from + more)}") (length states - from)
      ) (length states)
    );

  isRight =
    key: value:
    if isString key then
      {
        any = true;
        switch = elem value switch;
        int = isInt value;
        port = isInt value && isWithin [ 0 65535 ] value;
        bytes = isInt value || (isString value && match "[0-9]+[KMGT]?" value != null);
        mac = isMac value;
        macOrNone = isMac value || value == "none";
      }
      .${key}
    else if key ? oneOf then
      elem value key.oneOf
    else if key ? switchOr then
      elem value (switch ++ key.switchOr)
    else if key ? switchOrStates then
      elem value (switch ++ key.switchOrStates ++ rangesOf key.switchOrStates)
    else if key ? number then
      isNumber value && isWithin key.number value
    else if key ? numberOr then
      (isNumber value && isWithin key.numberOr value) || value == elemAt key.numberOr 2
    else
      isInt value && isWithin key.integer value;

  # One layer of mkForce or mkIf is looked through: the checks are made before definitions are merged.
  bare =
    value:
    if
      isAttrs value
      && elem (value._type or "") [
        "override"
        "if"
      ]
    then
      value.content
    else
      value;

  shown =
    value:
    if isBool value || isNumber value || isString value then toJSON value else "a ${typeOf value}";

  sectionOf =
    name: section:
    let
      title = "[${elemAt (pathOf name) 1}]";
      keys = listToAttrs (
        concatMap (
          key:
          let
            entry = section.keys.${key};
          in
          if isThere entry then
            [
              {
                name = key;
                value = entry.is or entry;
              }
            ]
          else
            [ ]
        ) (attrNames section.keys)
      );
      faultsIn =
        settings:
        concatMap (
          key:
          if !(keys ? ${key}) then
            [ "${title} has no key `${key}'" ]
          else if isRight keys.${key} (bare settings.${key}) then
            [ ]
          else
            [ "${title} `${key}' cannot be ${shown (bare settings.${key})}" ]
        ) (attrNames settings)
        ++ concatMap (key: if settings ? ${key} then [ ] else [ "${title} must have `${key}'" ]) (
          section.required or [ ]
        );
      wrapped = section.wrapped or null;
    in
    {
      inherit wrapped;
      # What is wrong with one definition.
      faults =
        settings:
        if wrapped == null then
          faultsIn settings
        else if settings ? ${wrapped} then
          if attrNames settings == [ wrapped ] then
            faultsIn settings.${wrapped}
          else
            [ "${title} has keys beside `${wrapped}'" ]
        else if compareVersions release section.plain < 0 then
          [ "${title} has its keys in `${wrapped}' before NixOS ${section.plain}" ]
        else
          faultsIn settings;
    };

in
{
  options = nest declared;
  sections = mapAttrs sectionOf data.sections;

  # Whether a user's module may set a name that is not declared below this path.
  isFree =
    path: name:
    if path == [ ] then
      elem name data.free.roots
    else
      elem (head path) data.free.roots
      && !(any (start: length start <= length path && genList (elemAt path) (length start) == start) (
        map pathOf data.free.closed
      ));
}
