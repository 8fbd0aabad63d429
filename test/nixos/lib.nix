# What modules need of nixpkgs' lib where there is none.
let
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    genList
    isList
    listToAttrs
    map
    stringLength
    substring
    ;

  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkOrder = priority: content: {
    _type = "order";
    inherit priority content;
  };
  nameValuePair = name: value: { inherit name value; };
in
{
  inherit (builtins)
    all
    any
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    genList
    head
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isString
    length
    listToAttrs
    mapAttrs
    match
    removeAttrs
    replaceStrings
    stringLength
    tail
    toJSON
    ;
  inherit mkOrder mkOverride nameValuePair;

  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOptionDefault = mkOverride 1500;
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  mkVMOverride = mkOverride 10;
  mkBefore = mkOrder 500;
  mkAfter = mkOrder 1500;

  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: values: if condition then values else [ ];
  optionalAttrs = condition: set: if condition then set else { };
  optionalString = condition: text: if condition then text else "";
  concatMapStringsSep =
    separator: f: list:
    concatStringsSep separator (map f list);
  concatStrings = concatStringsSep "";
  mapAttrs' = f: set: listToAttrs (map (name: f name set.${name}) (attrNames set));
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  filterAttrs =
    f: set:
    listToAttrs (
      map (name: nameValuePair name set.${name}) (filter (name: f name set.${name}) (attrNames set))
    );
  genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
  imap0 = f: list: genList (i: f i (builtins.elemAt list i)) (builtins.length list);
  imap1 = f: list: genList (i: f (i + 1) (builtins.elemAt list i)) (builtins.length list);
  range = first: last: if first > last then [ ] else genList (i: first + i) (last - first + 1);
  unique = foldl' (seen: value: if elem value seen then seen else seen ++ [ value ]) [ ];
  flatten =
    let
      flatten = value: if isList value then concatMap flatten value else [ value ];
    in
    flatten;
  hasPrefix = start: text: substring 0 (stringLength start) text == start;
  id = value: value;
}
