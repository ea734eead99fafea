"""English."""

from __future__ import annotations

from typing import Final

from whatsapp_mcp.demo.languages.language import Language, lines, words

ENGLISH: Final = Language(
    code="en",
    currency="USD",
    first_names=words(
        "Emma Oliver Sophie Daniel Grace Henry Alice Jack Charlotte Thomas Lucy George Hannah Samuel Ruby Edward Claire "
        "Peter Helen Martin Julia Simon Karen Philip Laura Andrew Megan Robert Nicole Stephen Rachel Kevin Amelia Brian "
        "Olivia Scott Heather Neil"
    ),
    last_names=words(
        "Turner Baker Fielding Harper Whitfield Marsh Ellison Prescott Langley Winslow Barlow Chandler Draper Ashworth "
        "Fletcher Holloway Pemberton Rowe Sutton Thorne Underhill Vickers Westbrook Yardley"
    ),
    group_names=lines("""
        Book club
        Neighbours
        Sunday football
        School parents 3B
        Project Lighthouse
        Office lunch
        Garden allotment
        Hiking crew
        Choir
        Flat 12 building
        Reunion 2019
        Board games night
        Running mates
        Startup founders
        Summer house
        Photography walk
    """),
    short=lines("""
        ok
        sure
        thanks!
        yes
        no problem
        great
        on my way
        lol
        see you
        good morning
        good night
        exactly
        not yet
        why?
        call me
        done
        perfect, thank you
        maybe tomorrow
        happy birthday!
        congratulations
        sorry, missed your call
        sounds good
        same here
        really?
    """),
    sentences=lines("""
        Are you coming to {p} {t}?
        I left the {n} at {p}
        Can you bring the {n} {t}?
        The {n} is {j}, I will send a picture
        We need {k} more {f} for the party
        Let's meet at {p} at {h}
        {a} said the {n} arrives {t}
        How much did you pay for the {n}?
        It was {m}, quite {j}
        Don't forget the {n} and the {f}
        I am at {p} now, where are you?
        The meeting moved to {h}
        Did you talk to {a} about the {n}?
        The {n} broke again, who can fix it?
        {t} works better for me
        I bought {f} and {f}
        Dinner at ours {t}? {a} is cooking {f}
        The traffic near {p} is terrible
        Please send me the {n} before {h}
        My flight lands at {h}, gate {k}
        The doctor moved the appointment to {d}
        That {n} looks {j}
        I transferred {m} this morning
        Could you check the {n} when you get home?
        {a} is waiting outside {p}
        The landlord wants {m} for the {n}
        We finished chapter {k}, it was {j}
        Happy to help with the {n}
        Is the {n} still available?
        I found your {n} behind the sofa
        The kids loved the {f}
        Remind me to call {a} {t}
        They close at {h} {t}
        The weather at {p} is {j}
        I need to return the {n} by {d}
        Somebody left a {n} on the stairs
        What time does {a} finish work?
        The report is due on {d}, page {k} is missing
        New price is {m}, take it or leave it
        Best {f} in town is near {p}
        I'm running {k} minutes late
        Tell {a} I said hello
        We should plan the trip to {p}
        The battery of the {n} is empty
        Can we postpone until {d}?
        I already paid {m} for the tickets
        Who has the key to {p}?
        Honestly the {n} was too {j} for me
    """),
    things=words(
        "car key phone laptop table invoice contract ticket package book bike charger umbrella passport receipt camera "
        "jacket sofa lamp printer ladder mirror carpet drill tent guitar piano bottle wallet backpack headset keyboard "
        "monitor router fridge oven dishwasher mattress blanket curtain bookshelf cupboard drawer toolbox hammer screwdriver "
        "paint brush bucket hose lawnmower wheelbarrow helmet scooter stroller cradle puzzle calendar notebook envelope "
        "stamp parcel voucher brochure poster banner microphone speaker projector tripod lens battery adapter cable antenna "
        "compass map rope anchor kayak surfboard racket whistle trophy medal certificate diploma lease deposit quote "
        "estimate proposal spreadsheet presentation agenda prescription thermometer bandage vaccine scarf glove sweater "
        "raincoat boots sandals bracelet necklace earring perfume candle vase"
    ),
    places=words(
        "the_office home school the_station the_airport the_park the_supermarket the_gym the_bank the_library the_hospital "
        "the_museum the_beach the_harbour the_market the_bakery the_pharmacy the_theatre the_stadium the_garage the_cinema "
        "the_lake the_castle the_bridge the_embassy the_workshop the_warehouse the_clinic the_playground the_vineyard"
    ),
    foods=words(
        "coffee pizza bread cheese salad soup cake apples eggs milk rice pasta chicken salmon tomatoes cookies pancakes "
        "sandwiches potatoes olives hummus strawberries bananas chocolate honey yoghurt lemonade mushrooms noodles dumplings "
        "avocado cinnamon pumpkin raspberries walnuts lasagna meatballs gingerbread"
    ),
    times=words(
        "tomorrow today tonight on_Friday on_Monday next_week on_Sunday at_noon on_Thursday in_the_morning on_Tuesday "
        "this_weekend after_work on_Saturday in_an_hour on_Wednesday before_lunch next_month in_the_evening at_midnight "
        "around_Easter"
    ),
    adjectives=words(
        "good nice big expensive cold beautiful heavy cheap late quiet strange loud empty broken delicious perfect tiny huge "
        "dusty gorgeous slippery wonderful ridiculous crowded bright soft wooden modern ancient fragile magnificent"
    ),
    captions=lines("""
        look at this
        the view from here
        our new kitchen
        the receipt
        this is the one
        sunset yesterday
        before and after
        where we parked
        the menu
        first day of school
        the garden this morning
        what do you think?
    """),
    documents=words(
        "invoice-2024-031.pdf contract-draft.docx timetable.pdf budget.xlsx boarding-pass.pdf minutes-may.pdf floor-plan.pdf "
        "recipe-book.pdf price-list.xlsx insurance.pdf"
    ),
    polls=lines("""
        Which evening?|Tuesday|Thursday|Saturday
        Pizza or sushi?|Pizza|Sushi
        Where do we meet?|Station|Park|Office
        Next book?|The island|Winter letters|A short history
    """),
    addresses=lines("""
        Town library|1 Fiction Street
        Cafe Moonlight|22 Example Road
        North Station|Platform Square 3
        Invented Park|Lake Avenue
    """),
)
